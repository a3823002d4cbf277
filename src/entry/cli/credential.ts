import { DomainError } from '../../domain/errors.ts';
import { action, type CommandContext, readStdin } from './context.ts';
import { Option } from 'commander';
import type { Register } from './program.ts';

async function credentials(context: CommandContext) {
  const [{ openHome }, { openCredentials }] = await Promise.all([
    import('../home.ts'),
    import('../ports.ts'),
  ]);
  return openCredentials({ home: openHome(context.environment), environment: context.environment });
}

/** The secret from standard input, typed unseen on a terminal. It never is an argument: those show in `ps`. */
async function readSecret(context: CommandContext): Promise<string> {
  let secret: string;
  if (process.stdin.isTTY) {
    if (context.options.input === false) {
      throw new DomainError('USAGE', 'The secret must come from standard input.', {
        hint: 'For example: pass show rmm | msp-toolkit credential set rmm api-key',
      });
    }
    process.stderr.write('Secret (not shown): ');
    secret = await typedUnseen(context.signal);
    process.stderr.write('\n');
  } else {
    secret = (await readStdin()).replace(/\r?\n$/, '');
  }
  if (!secret) throw new DomainError('USAGE', 'The secret is empty; nothing was stored.');
  return secret;
}

function typedUnseen(signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    const stop = (error?: Error) => {
      process.stdin.setRawMode(false);
      process.stdin.pause();
      process.stdin.off('data', onData);
      if (error) reject(error);
      else resolve(text);
    };
    const onData = (data: Buffer) => {
      for (const key of data.toString('utf8')) {
        if (key === '\r' || key === '\n') return stop();
        if (key === '\u0003') return stop(new DomainError('INTERRUPTED', 'Interrupted; nothing was stored.'));
        text = key === '\u007f' ? text.slice(0, -1) : text + key;
      }
    };
    signal.addEventListener('abort', () => stop(new DomainError('INTERRUPTED', 'Interrupted.')), {
      once: true,
    });
    process.stdin.setRawMode(true);
    process.stdin.resume();
    process.stdin.on('data', onData);
  });
}

function assertName(...names: string[]): void {
  for (const name of names) {
    if (!/^[a-z0-9][a-z0-9-]{0,63}$/.test(name)) {
      throw new DomainError('VALIDATION', `"${name}" is not a name for a credential.`, {
        hint: 'Use a-z, 0-9 and -, such as: mail password',
      });
    }
  }
}

async function audited(
  context: CommandContext,
  act: string,
  subject: string,
  details: object,
): Promise<void> {
  const { parts } = await context.toolkit();
  const { userInfo } = await import('node:os');
  await parts.storage.write((tx) =>
    tx.addAudit({
      at: parts.clock.now().toISOString(),
      actor: `cli:${userInfo().username}`,
      action: act,
      subject,
      details,
    }),
  );
}

export const register: Register = (program, lifecycle) => {
  const credential = program.command('credential').description('secrets, kept out of configuration and logs');

  credential
    .command('set')
    .description('store a secret, read from standard input')
    .argument('<service>', 'such as mail')
    .argument('<key>', 'such as password')
    .addOption(
      new Option('--store <store>', 'where; default: the keyring, or the file where there is none').choices([
        'keyring',
        'file',
      ]),
    )
    .addHelpText(
      'after',
      '\nExample:\n  pass show smtp | msp-toolkit credential set mail password\n\nThe environment wins over what is stored: MAIL_PASSWORD.',
    )
    .action(
      action(lifecycle, async (context, [service, key], own: { store?: string }) => {
        assertName(String(service), String(key));
        const secret = await readSecret(context);
        const store = await (await credentials(context)).set(String(service), String(key), secret, own.store);
        await audited(context, 'credential.set', `credential:${service}/${key}`, { store });
        context.output.data({ service, key, store }, () =>
          context.output.line(`Stored ${service}/${key} in the ${store}.`),
        );
      }),
    );

  credential
    .command('list')
    .description('list the names of stored secrets, never the secrets')
    .action(
      action(lifecycle, async (context) => {
        const found = await (await credentials(context)).list();
        context.output.data(found, () =>
          context.output.table(
            ['SERVICE', 'KEY', 'STORE'],
            found.map((f) => [f.service, f.key, f.store]),
            'No secrets are stored.',
          ),
        );
      }),
    );

  credential
    .command('remove')
    .description('remove a secret from every store')
    .argument('<service>')
    .argument('<key>')
    .option('--yes', "don't ask")
    .action(
      action(lifecycle, async (context, [service, key], own: { yes?: boolean }) => {
        assertName(String(service), String(key));
        await context.confirm(`Remove the secret ${service}/${key}?`, own.yes);
        const stores = await (await credentials(context)).remove(String(service), String(key));
        if (stores.length === 0) {
          throw new DomainError('VALIDATION', `No store has a secret ${service}/${key}.`, {
            hint: 'See: msp-toolkit credential list',
          });
        }
        await audited(context, 'credential.remove', `credential:${service}/${key}`, { stores });
        context.output.data({ service, key, stores }, () =>
          context.output.line(`Removed from: ${stores.join(', ')}.`),
        );
      }),
    );
};
