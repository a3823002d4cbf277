import { benchEngine } from './engine.ts';

// The worker that is killed.
const { work } = await benchEngine(process.argv[2] ?? '', 'rescue');
await work();
process.stdout.write('ready\n');
