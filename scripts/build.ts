import { chmod, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { build } from 'esbuild';

const root = join(import.meta.dirname, '..');
const outdir = join(root, 'dist');

/** Packages that are loaded as they are: native code, and CommonJS or heavy ones that are imported on demand. */
const external = [
  'better-sqlite3',
  'yaml',
  'keytar',
  'pino',
  'puppeteer',
  'systeminformation',
  'nodemailer',
  'nunjucks',
  'smtp-server',
  'turndown',
  '@joplin/turndown-plugin-gfm',
  'prom-client',
  'bullmq-otel',
  '@opentelemetry/*',
];

await rm(outdir, { recursive: true, force: true });
// Bundled, since most of a short command's time went into finding and reading hundreds of small files.
await build({
  entryPoints: { main: join(root, 'src/entry/main.ts'), index: join(root, 'src/entry/toolkit.ts') },
  outdir,
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node22',
  external,
  minifySyntax: true,
  legalComments: 'none',
  banner: {
    js: `import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);`,
  },
  logLevel: 'warning',
});
await chmod(join(outdir, 'main.js'), 0o755);
