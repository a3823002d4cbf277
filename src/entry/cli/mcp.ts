import { once } from 'node:events';
import { action } from './context.ts';
import type { Register } from './program.ts';

export const register: Register = (program, lifecycle) => {
  program
    .command('mcp')
    .description('serve AI agents over stdio (Model Context Protocol)')
    .addHelpText(
      'after',
      '\nIn an agent\'s configuration:\n  { "mcpServers": { "msp-toolkit": { "command": "npx", "args": ["msp-toolkit", "mcp"] } } }',
    )
    .action(
      action(lifecycle, async (context) => {
        const [{ StdioServerTransport }, { createServer }, { packageVersion }, { openToolkit }] =
          await Promise.all([
            import('@modelcontextprotocol/sdk/server/stdio.js'),
            import('../mcp/server.ts'),
            import('../package-info.ts'),
            import('../toolkit.ts'),
          ]);
        const log = await context.log('warn');
        const { environment, options, signal } = context;
        const opened: ReturnType<typeof openToolkit>[] = [];
        const server = createServer(packageVersion(), (actor) => {
          const toolkit = openToolkit({
            actor,
            environment,
            log,
            ...(options.config ? { config: options.config } : {}),
          });
          opened.push(toolkit);
          return toolkit;
        });
        // The caller leaves by closing our standard input.
        const left = Promise.race([
          once(process.stdin, 'end'),
          once(process.stdin, 'close'),
          once(signal, 'abort'),
        ]);
        await server.connect(new StdioServerTransport());
        await left;
        await server.close();
        await Promise.allSettled(opened.map(async (toolkit) => (await toolkit).close(5000)));
      }),
    );
};
