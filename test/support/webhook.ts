import { createServer, type IncomingHttpHeaders } from 'node:http';
import { listening } from './probing.ts';

export interface Posted {
  headers: IncomingHttpHeaders;
  body: string;
  json(): Record<string, unknown>;
}

/** A real HTTP server that takes what is posted and answers each time as it is told. */
export async function inbox(answer: (n: number) => number | 'drop' = () => 200): Promise<{
  url: string;
  posted: Posted[];
}> {
  const posted: Posted[] = [];
  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      const body = Buffer.concat(parts).toString('utf8');
      posted.push({ headers: request.headers, body, json: () => JSON.parse(body) });
      const code = answer(posted.length);
      if (code === 'drop') request.socket.destroy();
      else response.writeHead(code).end(code < 300 ? 'ok' : 'no');
    });
  });
  return { url: `http://127.0.0.1:${await listening(server)}/hook/s3cret`, posted };
}
