import type { Command } from 'commander';
import type { Schedule, ScheduleChanges, ScheduleInput } from '../../domain/schedule.ts';
import { action, type CommandContext, readStdin } from './context.ts';
import { brief } from './client.ts';
import { choices, jsonArgument, parseJsonObject, positiveInteger, wholeNumber } from './options.ts';
import { type Output, when, whenBriefly } from './output.ts';
import type { Register } from './program.ts';
import { withJob } from './started.ts';

interface Fields {
  cron?: string;
  timezone?: string;
  job?: string;
  payload?: string;
  misfire?: Schedule['misfire'];
  misfireWindow?: number;
  overlap?: Schedule['overlap'];
  jitter?: number;
}

function fields(command: Command): Command {
  return command
    .option('--timezone <zone>', 'IANA timezone in which the cron is read, such as Europe/Berlin')
    .option('--payload <json>', 'what the job is given: a JSON object, or - for standard input', jsonArgument)
    .addOption(
      choices(
        '--misfire <rule>',
        'which slots that nobody was there for are made up for; once unless set',
        'misfires',
      ),
    )
    .option(
      '--misfire-window <seconds>',
      'how late a slot may still be made up for; a day unless set',
      wholeNumber,
    )
    .addOption(
      choices(
        '--overlap <rule>',
        'what a slot does whose predecessor still runs; skip unless set',
        'overlaps',
      ),
    )
    .option('--jitter <seconds>', 'start each slot up to so much later', wholeNumber);
}

async function given(own: Fields): Promise<ScheduleChanges> {
  const { cron, timezone, job, payload, misfire, misfireWindow, overlap, jitter } = own;
  const text = payload === '-' ? await readStdin() : payload;
  return {
    ...(cron !== undefined ? { cron } : {}),
    ...(timezone !== undefined ? { timezone } : {}),
    ...(job !== undefined ? { jobType: job } : {}),
    ...(text !== undefined ? { payload: parseJsonObject(text, 'payload') } : {}),
    ...(misfire !== undefined ? { misfire } : {}),
    ...(misfireWindow !== undefined ? { misfireWindowSeconds: misfireWindow } : {}),
    ...(overlap !== undefined ? { overlap } : {}),
    ...(jitter !== undefined ? { jitterSeconds: jitter } : {}),
  };
}

function show(output: Output, schedule: Schedule): void {
  output.record([
    ['name', schedule.name],
    ['cron', schedule.cron],
    ['timezone', schedule.timezone],
    ['job', schedule.jobType],
    ['payload', JSON.stringify(schedule.payload)],
    ['misfire', `${schedule.misfire}, within ${schedule.misfireWindowSeconds} s`],
    ['overlap', schedule.overlap],
    ['jitter', `${schedule.jitterSeconds} s`],
    ['paused', schedule.paused ? 'yes' : 'no'],
    ['stands in', standsIn[schedule.source]],
    ['last run', when(schedule.lastRunAt)],
    ['next run', when(schedule.nextRunAt)],
    ['id', schedule.id],
  ]);
}

const standsIn: Record<Schedule['source'], string> = {
  command: 'the database, by command',
  configuration: 'the configuration',
  product: 'the product',
};

export const register: Register = (program, lifecycle) => {
  const schedule = program.command('schedule').description('recurring jobs and what became of their times');

  /** A command on one schedule that prints it as it then is. */
  const change = (
    verb: string,
    about: string,
    run: (context: CommandContext, name: string) => Promise<Schedule>,
  ) =>
    schedule
      .command(verb)
      .description(about)
      .argument('<name>')
      .action(
        action(lifecycle, async (context, [name]) => {
          const changed = await run(context, String(name));
          context.output.data(changed, () => show(context.output, changed));
        }),
      );

  schedule
    .command('list')
    .description('list schedules with their next run and where they come from')
    .action(
      action(lifecycle, async (context) => {
        const schedules = await (await context.toolkit()).schedules.list();
        context.output.data(schedules, () =>
          context.output.table(
            ['NAME', 'CRON', 'TIMEZONE', 'JOB', 'PAYLOAD', 'LAST RUN', 'NEXT RUN', 'FROM'],
            schedules.map((s) => [
              s.name,
              s.cron,
              s.timezone,
              s.jobType,
              brief(s.payload),
              whenBriefly(s.lastRunAt),
              s.paused ? 'paused' : whenBriefly(s.nextRunAt),
              s.source,
            ]),
            'No schedules yet. Add one with: msp-toolkit schedule add --help',
          ),
        );
      }),
    );

  fields(schedule.command('add').description('add a schedule'))
    .requiredOption('--name <name>', 'a-z, 0-9 and -')
    .requiredOption('--cron <cron>', 'five fields, or six with seconds; L, # and ranges too')
    .requiredOption('--job <type>', 'job type; see: msp-toolkit job types')
    .option('--paused', 'add it paused')
    .addHelpText(
      'after',
      `
Examples:
  msp-toolkit schedule add --name acme-health --cron "*/15 * * * *" --job health.check --payload '{"clientId":"acme-corp"}'
  msp-toolkit schedule add --name acme-monthly --cron "0 7 1 * *" --timezone Europe/Berlin --job report.generate \\
    --payload '{"clientId":"acme-corp","email":"it@acme.example"}' --misfire once --overlap skip

It runs while msp-toolkit serve does. What became of each slot is told by: msp-toolkit schedule show NAME`,
    )
    .action(
      action(lifecycle, async (context, _args, own: Fields & { name: string; paused?: boolean }) => {
        const toolkit = await context.toolkit();
        const input = {
          ...(await given(own)),
          name: own.name,
          ...(own.paused ? { paused: true } : {}),
        } as ScheduleInput;
        const added = await toolkit.schedules.add(input);
        context.output.data(added, () => show(context.output, added));
        const processes = await toolkit.processes();
        if (!processes.some(({ kind, alive }) => kind === 'serve' && alive))
          context.output.note('Nobody runs schedules now. Start: msp-toolkit serve');
      }),
    );

  schedule
    .command('show')
    .description('show a schedule and what became of its slots, newest first')
    .argument('<name>')
    .option('--limit <n>', 'at most so many lines', positiveInteger, 20)
    .action(
      action(lifecycle, async (context, [name], own: { limit: number }) => {
        const { schedules } = await context.toolkit();
        const found = await schedules.get(String(name));
        const { slots, totals } = await schedules.history(String(name), own.limit);
        context.output.data({ ...found, totals, slots }, () => {
          show(context.output, found);
          context.output.table(
            ['SLOT', 'UNTIL', 'SLOTS', 'OUTCOME', 'JOB', 'JOB STATE', 'REASON'],
            slots.map((s) => [
              when(s.slot),
              s.count > 1 ? when(s.until) : null,
              s.count,
              s.outcome,
              s.jobId,
              s.jobId ? (s.jobState ?? 'forgotten') : null,
              s.reason,
            ]),
            'No slot has come yet.',
          );
          context.output.note(`${totals.run} run, ${totals.skipped} skipped, ${totals.missed} missed.`);
        });
      }),
    );

  fields(schedule.command('update').description('change a schedule; it starts anew from now'))
    .argument('<name>')
    .option('--cron <cron>')
    .option('--job <type>')
    .action(
      action(lifecycle, async (context, [name], own: Fields) => {
        const changed = await (await context.toolkit()).schedules.update(String(name), await given(own));
        context.output.data(changed, () => show(context.output, changed));
      }),
    );

  schedule
    .command('remove')
    .description('remove a schedule and the account of its slots')
    .argument('<name>')
    .option('--yes', 'do not ask')
    .action(
      action(lifecycle, async (context, [name], own: { yes?: boolean }) => {
        const { schedules } = await context.toolkit();
        const found = await schedules.get(String(name));
        await context.confirm(`Remove the schedule ${found.name} and the account of its slots?`, own.yes);
        await schedules.remove(found.name);
        context.output.data(found, () => context.output.line(`Removed ${found.name}.`));
      }),
    );

  change('pause', 'let no slot of a schedule run until it is resumed', async (context, name) =>
    (await context.toolkit()).schedules.pause(name),
  );
  change('resume', 'run a paused schedule again, from now on', async (context, name) =>
    (await context.toolkit()).schedules.resume(name),
  );

  schedule
    .command('next')
    .description('preview the coming runs, with changes of the clocks')
    .argument('<name>')
    .option('--count <n>', 'how many', positiveInteger, 10)
    .action(
      action(lifecycle, async (context, [name], own: { count: number }) => {
        const { schedules } = await context.toolkit();
        const { timezone } = await schedules.get(String(name));
        const runs = await schedules.next(String(name), own.count);
        context.output.data(runs, () =>
          context.output.table(
            ['UTC', `IN ${timezone}`, "CLIENT'S TIME", 'NOTE'],
            runs.map((r) => [r.at.replace('.000Z', 'Z'), r.local, r.clientLocal, r.clockChange ?? '']),
            'It never runs again.',
          ),
        );
      }),
    );

  schedule
    .command('run')
    .description("do a schedule's work once, now")
    .argument('<name>')
    .option('--no-wait', 'print the job and return at once')
    .action(
      action(lifecycle, async (context, [name], own: { wait: boolean }) => {
        const started = await (await context.toolkit()).schedules.run(String(name));
        await withJob(context, started, own.wait, `Running ${String(name)}`, async (_result, job) => {
          context.output.data(job, () => context.output.line(`${job.id} ${job.state}`));
        });
      }),
    );
};
