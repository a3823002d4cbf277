import { Command, Option } from 'commander';
import { logLevels } from '../config-levels.ts';
import { packageVersion } from '../package-info.ts';
import type { Lifecycle } from './context.ts';

export type Register = (program: Command, lifecycle: Lifecycle) => void;

/** Every noun and top-level command. Only the one that is called gets loaded. */
const commands: Record<
  string,
  { about: string; load: () => Promise<{ register: Register }>; alias?: string }
> = {
  init: { about: 'make the home folder and a commented configuration', load: () => import('./init.ts') },
  doctor: { about: 'look for what is wrong here and say how to mend it', load: () => import('./doctor.ts') },
  demo: { about: 'run the main job once, in a scratch home', load: () => import('./demo.ts') },
  serve: { about: 'run all queues and the schedules, unattended', load: () => import('./serve.ts') },
  worker: { about: 'run some of the queues', load: () => import('./worker.ts') },
  mcp: { about: 'serve AI agents over stdio (Model Context Protocol)', load: () => import('./mcp.ts') },
  client: { about: 'clients: list, add, show, update, remove, onboard', load: () => import('./client.ts') },
  device: { about: 'devices: list, add, show, update, remove', load: () => import('./device.ts') },
  health: {
    about: 'health: check, history, status, thresholds, availability',
    load: () => import('./health.ts'),
  },
  alert: {
    about: 'alerts: list, show, ack, snooze, resolve, simulate',
    load: () => import('./alert.ts'),
    alias: 'alerts',
  },
  maintenance: { about: 'maintenance windows: list, add, remove', load: () => import('./maintenance.ts') },
  report: { about: 'reports: generate, list, show, send, templates', load: () => import('./report.ts') },
  schedule: {
    about: 'schedules: list, add, show, update, remove, pause, resume, next, run',
    load: () => import('./schedule.ts'),
  },
  job: { about: 'jobs: list, types, start, show, wait, cancel, retry, logs', load: () => import('./job.ts') },
  credential: { about: 'secrets: set, list, remove', load: () => import('./credential.ts') },
  config: { about: 'configuration: init, show, validate, schema', load: () => import('./config.ts') },
};

const examples = `
Examples:
  msp-toolkit client add --name "Acme Corp" --email it@acme.example
  msp-toolkit device add --client-id acme-corp --name "$(hostname)" --type server
  msp-toolkit health check acme-corp
  msp-toolkit report generate acme-corp --template monthly-summary --format pdf

State is kept in MSP_HOME; every command that prints data takes --json.`;

function globals(command: Command): Command {
  return command
    .option('--config <file>', 'configuration file')
    .option('--json', 'print one JSON document')
    .option('--quiet', 'print nothing but data and errors')
    .option('--no-input', 'never ask')
    .addOption(new Option('--log-level <level>', 'how much to log').choices([...logLevels]))
    .option('--log-file <file>', 'log to a file instead of stderr');
}

/**
 * The command line, with the commands of `argv`'s noun loaded, or those of all nouns for `'all'`.
 */
export async function createProgram(argv: readonly string[] | 'all', lifecycle: Lifecycle): Promise<Command> {
  const program = globals(new Command('msp-toolkit'))
    .description(
      'Unattended work for managed service providers: onboarding, health checks and client reports.',
    )
    .version(packageVersion(), '--version', 'print the version')
    .helpOption('-h, --help', 'show help')
    .addHelpText('after', examples)
    .configureHelp({ showGlobalOptions: true })
    .showSuggestionAfterError()
    // Errors are printed in one place, for people or as JSON.
    .configureOutput({ outputError: () => {} })
    .exitOverride();
  const named = (word: string) =>
    Object.keys(commands).find((name) => name === word || commands[name]?.alias === word);
  const wanted = argv === 'all' ? undefined : argv.map(named).find((name) => name !== undefined);
  for (const [name, { about, load }] of Object.entries(commands)) {
    if (argv === 'all' || name === wanted) (await load()).register(program, lifecycle);
    else program.command(name).description(about);
  }
  for (const command of program.commands) overrideExit(command);
  return program;
}

function overrideExit(command: Command): void {
  command.exitOverride();
  for (const child of command.commands) overrideExit(child);
}
