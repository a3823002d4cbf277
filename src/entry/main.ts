#!/usr/bin/env node
import module from 'node:module';

const oldest = [22, 18] as const;
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < oldest[0] || (major === oldest[0] && minor < oldest[1])) {
  process.stderr.write(
    `MSP Toolkit needs Node ${oldest.join('.')} or newer; this is ${process.versions.node}.\nFrom a checkout, npx msp-toolkit uses the one that set-up brought.\n`,
  );
  process.exit(2);
}

// The code is compiled once per version, not at each start.
module.enableCompileCache();

const { run } = await import('./run.ts');
process.exitCode = await run(process.argv.slice(2));
// A handle that something forgot must not keep a finished command alive.
setTimeout(() => process.exit(), 3000).unref();
