import { once } from 'node:events';
import type { Transporter } from 'nodemailer';
import { DomainError } from '../../domain/errors.ts';
import type { Mailer } from '../../domain/ports.ts';

export interface SmtpSettings {
  host: string;
  port: number;
  /** TLS from the first byte (port 465); otherwise STARTTLS where the server offers it. */
  secure: boolean;
  user?: string | undefined;
  from: string;
  /** Asked for at each connection, so that a changed secret needs no restart. */
  password(): Promise<string | undefined>;
}

interface SmtpError extends Error {
  code?: string;
  responseCode?: number;
}

const notConfigured = new DomainError('MAIL_NOT_CONFIGURED', 'No mail server is configured.', {
  hint: 'Set mail.host and mail.from in the configuration; see: msp-toolkit config schema',
});

function translate(error: SmtpError, address: string, handedOver: boolean): DomainError {
  const details = { server: address, smtp: error.code, responseCode: error.responseCode };
  if (error.code === 'EAUTH') {
    return new DomainError('MAIL_AUTH', `The mail server ${address} refused the login: ${error.message}`, {
      details,
      hint: 'Set the password with: msp-toolkit credential set mail password',
      cause: error,
    });
  }
  if (error.responseCode !== undefined && error.responseCode >= 500) {
    return new DomainError(
      'MAIL_REJECTED',
      `The mail server ${address} refused the message: ${error.message}`,
      {
        details,
        hint: 'Check the recipient and mail.from.',
        cause: error,
      },
    );
  }
  // Once all of the message has gone out and no answer has come, nobody but the server knows whether it took it.
  if (handedOver && error.responseCode === undefined) {
    return new DomainError(
      'MAIL_UNCERTAIN',
      `The mail server ${address} went away before it confirmed the message.`,
      {
        details,
        cause: error,
      },
    );
  }
  return new DomainError('MAIL_UNAVAILABLE', `The mail server ${address} can't be used: ${error.message}`, {
    details,
    hint: 'The mail is kept and tried again; check mail.host and mail.port if this goes on.',
    cause: error,
  });
}

/** Mails through the configured SMTP server; `undefined` for none, which every send then says. */
export function smtpMailer(settings: SmtpSettings | undefined): Mailer {
  async function connect(smtp: SmtpSettings): Promise<Transporter> {
    const { createTransport } = await import('nodemailer');
    const password = smtp.user ? await smtp.password() : undefined;
    if (smtp.user && !password) {
      throw new DomainError('MAIL_AUTH', `There is no password for the mail user ${smtp.user}.`, {
        hint: 'Set it with: msp-toolkit credential set mail password',
      });
    }
    return createTransport({
      host: smtp.host,
      port: smtp.port,
      secure: smtp.secure,
      connectionTimeout: 10_000,
      greetingTimeout: 10_000,
      socketTimeout: 30_000,
      disableFileAccess: false,
      disableUrlAccess: true,
      ...(smtp.user ? { auth: { user: smtp.user, pass: password } } : {}),
    });
  }

  async function using<T>(
    signal: AbortSignal | undefined,
    work: (transport: Transporter, smtp: SmtpSettings) => Promise<T>,
  ): Promise<T> {
    let handedOver = false;
    if (!settings) throw notConfigured;
    const transport = await connect(settings);
    signal?.throwIfAborted();
    transport.use('stream', (mail, done) => {
      mail.message.processFunc((message) => {
        message.once('end', () => {
          handedOver = true;
        });
        return message;
      });
      done();
    });
    const given = signal ? once(signal, 'abort') : new Promise<never>(() => {});
    try {
      // nodemailer can't be stopped amid a message; its own timeouts end what is left behind here.
      return await Promise.race([
        work(transport, settings),
        given.then(() => Promise.reject(signal?.reason)),
      ]);
    } catch (error) {
      signal?.throwIfAborted();
      if (error instanceof DomainError) throw error;
      throw translate(error as SmtpError, `${settings.host}:${settings.port}`, handedOver);
    } finally {
      transport.close();
    }
  }

  return {
    send: (message, signal) =>
      using(signal, async (transport, smtp) => {
        const info = await transport.sendMail({ ...message, from: smtp.from });
        return { response: String(info.response) };
      }),
    verify: () =>
      using(undefined, async (transport) => {
        await transport.verify();
      }),
  };
}
