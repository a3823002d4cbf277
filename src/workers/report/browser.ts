import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import type { Browser, Page } from 'puppeteer';
import { DomainError } from '../../domain/errors.ts';
import type { Log } from '../../domain/log.ts';

/** Where Debian, Fedora, Google's packages and macOS put a Chrome or Chromium. */
const usualPlaces = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome-stable',
  '/usr/bin/google-chrome',
  '/snap/bin/chromium',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
];

/** A browser's memory grows with each page; a new one every so often keeps it flat. */
const pagesPerBrowser = 50;

/** How long a page may take, in ms. A browser that has lost one of its processes may stay silent for good. */
const pageLimitMs = 30_000;

export interface BrowserSettings {
  /** From the configuration; must exist if given. */
  configured?: string | undefined;
  /** PUPPETEER_EXECUTABLE_PATH. */
  fromEnvironment?: string | undefined;
}

/** The browser to use: configured, from the environment, installed on the system, or puppeteer's own. Throws BROWSER_MISSING. */
export async function findBrowser(settings: BrowserSettings): Promise<string> {
  for (const chosen of [settings.configured, settings.fromEnvironment]) {
    if (!chosen) continue;
    if (existsSync(chosen)) return chosen;
    throw new DomainError('BROWSER_MISSING', `There is no browser at ${chosen}.`, {
      details: { path: chosen },
      hint: 'Correct reporting.browser or PUPPETEER_EXECUTABLE_PATH.',
    });
  }
  const { executablePath } = await import('puppeteer');
  const own = await Promise.resolve()
    .then(() => executablePath())
    .catch(() => '');
  const found = [...usualPlaces, own].find((path) => path && existsSync(path));
  if (found) return found;
  throw new DomainError('BROWSER_MISSING', 'PDF reports need Chromium, which is not installed.', {
    hint: 'Install it (Debian: apt-get install chromium), or name a browser in reporting.browser.',
  });
}

/** A browser that is started when first needed, renewed now and then, and replaced when it dies. */
export interface BrowserPool {
  /** Runs `work` on a page of its own, which has no network and no scripts. Throws BROWSER_MISSING or BROWSER_FAILED. */
  withPage<T>(signal: AbortSignal, work: (page: Page) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

interface Lease {
  browser: Browser;
  /** Pages in use now. */
  pages: number;
  /** Pages handed out in all. */
  served: number;
  /**
   * Pages that are free to be used again. Making one takes four times as long as printing on it, and with neither
   * scripts nor network a document has no means to leave anything behind for the next one.
   */
  free: Page[];
  /** To be used no more. */
  bad: boolean;
}

export function createBrowserPool(settings: BrowserSettings & { sandbox: boolean }, log: Log): BrowserPool {
  let current: Promise<Lease> | undefined;
  let serving: Lease | undefined;
  const live = new Set<Lease>();
  const ending = new Set<Promise<void>>();

  async function launch(): Promise<Lease> {
    const executablePath = await findBrowser(settings);
    const puppeteer = await import('puppeteer');
    const browser = await puppeteer.launch({
      executablePath,
      pipe: true,
      // Signals are for us: jobs are let end before the browser is.
      handleSIGINT: false,
      handleSIGTERM: false,
      handleSIGHUP: false,
      args: [
        ...(settings.sandbox ? [] : ['--no-sandbox']),
        '--disable-gpu',
        '--disable-dev-shm-usage',
        '--disable-background-networking',
        '--disable-component-update',
        '--disable-sync',
        '--no-first-run',
      ],
    });
    const lease: Lease = { browser, pages: 0, served: 0, free: [], bad: false };
    live.add(lease);
    browser.once('disconnected', () => {
      live.delete(lease);
      if (serving === lease) current = serving = undefined;
    });
    log.debug({ executablePath }, 'Browser started');
    return lease;
  }

  async function take(): Promise<Lease> {
    for (;;) {
      current ??= launch().catch((error: unknown) => {
        current = undefined;
        throw error;
      });
      const asked: Promise<Lease> = current;
      const lease = await asked;
      // Another may have found it worn out in the same moment and launched the next one.
      if (current !== asked) continue;
      serving = lease;
      if (lease.browser.connected && !lease.bad && lease.served < pagesPerBrowser) {
        lease.pages += 1;
        lease.served += 1;
        return lease;
      }
      retire(lease);
    }
  }

  /** Takes a browser out of service; it is ended once its last page has been given back. */
  function retire(lease: Lease): void {
    if (serving === lease) current = serving = undefined;
    lease.bad = true;
    if (lease.pages === 0) void end(lease);
  }

  function end(lease: Lease): Promise<void> {
    live.delete(lease);
    const ended = endOne(lease.browser).finally(() => ending.delete(ended));
    ending.add(ended);
    return ended;
  }

  async function newPage(lease: Lease): Promise<Page> {
    const page = await lease.browser.newPage();
    await page.setJavaScriptEnabled(false);
    await page.setOfflineMode(true);
    return page;
  }

  return {
    async withPage(signal, work) {
      signal.throwIfAborted();
      let lease: Lease | undefined;
      try {
        lease = await take();
        const limit = AbortSignal.any([signal, AbortSignal.timeout(pageLimitMs)]);
        const page = lease.free.pop() ?? (await within(newPage(lease), limit));
        const answer = await withinLife(page, work(page), limit);
        lease.free.push(page);
        return answer;
      } catch (error) {
        // It may hang or be half dead; the next job gets another browser.
        if (lease) lease.bad = true;
        signal.throwIfAborted();
        throw failed(error);
      } finally {
        if (lease) {
          lease.pages -= 1;
          if (lease.bad || lease.served >= pagesPerBrowser) retire(lease);
        }
      }
    },
    async close() {
      current = serving = undefined;
      for (const lease of live) void end(lease);
      await Promise.all(ending);
    },
  };
}

/** Ends a browser, by force if it does not end by itself within a few seconds. */
async function endOne(browser: Browser): Promise<void> {
  const child = browser.process();
  const gone =
    child && child.exitCode === null && child.signalCode === null ? once(child, 'exit') : undefined;
  await Promise.race([browser.close().catch(() => {}), delay(3000, undefined, { ref: false })]);
  child?.kill('SIGKILL');
  await gone;
}

/** Rejects as soon as the signal is aborted, whatever becomes of `work`. */
async function within<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  work.catch(() => {});
  const done = new AbortController();
  const given = once(signal, 'abort', { signal: done.signal }).then(() => Promise.reject(signal.reason));
  given.catch(() => {});
  try {
    return await Promise.race([work, given]);
  } finally {
    done.abort();
  }
}

/** The same, and as soon as the page crashes: what was asked of it then has no answer. */
async function withinLife<T>(page: Page, work: Promise<T>, signal: AbortSignal): Promise<T> {
  const crash = new AbortController();
  const onError = (error: Error) => crash.abort(error);
  page.once('error', onError);
  try {
    return await within(work, AbortSignal.any([signal, crash.signal]));
  } finally {
    page.off('error', onError);
  }
}

function failed(error: unknown): DomainError {
  if (error instanceof DomainError) return error;
  const timedOut = error instanceof Error && error.name === 'TimeoutError';
  const reason = timedOut
    ? `no answer within ${pageLimitMs / 1000} s`
    : error instanceof Error
      ? error.message
      : String(error);
  return new DomainError('BROWSER_FAILED', `The browser failed: ${reason}`, {
    hint: 'Run: msp-toolkit doctor',
    cause: error,
  });
}
