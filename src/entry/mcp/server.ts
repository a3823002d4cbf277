import { readFile } from 'node:fs/promises';
import { McpServer, ResourceTemplate } from '@modelcontextprotocol/sdk/server/mcp.js';
import type { RequestHandlerExtra } from '@modelcontextprotocol/sdk/shared/protocol.js';
import type { CallToolResult, ServerNotification, ServerRequest } from '@modelcontextprotocol/sdk/types.js';
import { type DomainError, toDomainError } from '../../domain/errors.ts';
import { mask } from '../../domain/mask.ts';
import type { Toolkit } from '../toolkit.ts';
import { mimeTypes } from './resources.ts';
import type { Tool } from './tool.ts';
import { tools } from './tools/index.ts';

type Extra = RequestHandlerExtra<ServerRequest, ServerNotification>;

const instructions = `Looks after the computers of client companies. Start with client_list.
Work is done by jobs: a tool that starts one waits for it unless told not to, and the job goes on if you leave; job_status and job_wait find it again.
"unknown" means that nothing could be measured; it is never the same as healthy.`;

function failure(error: unknown): CallToolResult {
  const known: DomainError = toDomainError(error);
  const shape = mask(known.toJSON()) as ReturnType<DomainError['toJSON']>;
  return {
    isError: true,
    content: [{ type: 'text', text: `${shape.code}: ${shape.message}${shape.hint ? ` ${shape.hint}` : ''}` }],
    // Not as structured content: that must have the form of the tool's result.
    _meta: { 'msp-toolkit/error': { ...shape } },
  };
}

async function call(
  tool: Tool,
  toolkit: Promise<Toolkit>,
  input: Record<string, unknown>,
  extra: Extra,
): Promise<CallToolResult> {
  const token = extra._meta?.progressToken;
  try {
    const { structured, text, links } = await tool.handle(
      {
        toolkit: await toolkit,
        signal: extra.signal,
        progress(percent, message) {
          if (token === undefined) return;
          const params = { progressToken: token, progress: percent, total: 100, message };
          extra.sendNotification({ method: 'notifications/progress', params }).catch(() => {});
        },
      },
      input,
    );
    return {
      content: [
        { type: 'text', text },
        ...(links ?? []).map((link) => ({ type: 'resource_link' as const, ...link })),
      ],
      structuredContent: structured,
    };
  } catch (error) {
    return failure(error);
  }
}

/**
 * The MCP server with all tools and the reports as resources.
 *
 * @param open opens the toolkit for the named caller; called once, at the first use
 */
export function createServer(version: string, open: (actor: string) => Promise<Toolkit>): McpServer {
  const server = new McpServer({ name: 'msp-toolkit', title: 'MSP Toolkit', version }, { instructions });
  let opened: Promise<Toolkit> | undefined;
  const toolkit = () => (opened ??= open(`mcp:${server.server.getClientVersion()?.name ?? 'unknown'}`));

  for (const tool of tools) {
    const { name, title, description, input, output, annotations } = tool;
    server.registerTool(
      name,
      {
        title,
        description,
        inputSchema: input,
        outputSchema: output,
        annotations: { title, ...annotations },
      },
      (args: Record<string, unknown>, extra: Extra) => call(tool, toolkit(), args, extra),
    );
  }

  server.registerResource(
    'report',
    new ResourceTemplate('msp-report:///{id}', { list: undefined }),
    { title: 'Report', description: 'A report as report_generate wrote it.' },
    async (uri, { id }) => {
      const report = await (await toolkit()).reports.get(String(id));
      const bytes = await readFile(report.path);
      const mimeType = mimeTypes[report.format];
      return {
        contents: [
          report.format === 'pdf'
            ? { uri: uri.href, mimeType, blob: bytes.toString('base64') }
            : { uri: uri.href, mimeType, text: bytes.toString('utf8') },
        ],
      };
    },
  );
  return server;
}
