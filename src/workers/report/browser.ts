import { existsSync } from 'node:fs';
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
}

export function createBrowserPool(settings: BrowserSettings & { sandbox: boolean }, log: Log): BrowserPool {
  let current: Promise<Lease> | undefined;
  const live = new Set<Lease>();

  async function launch(): Promise<Lease> {
    const executablePath = await findBrowser(settings);
    const puppeteer = await import('puppeteer');
    const browser = await puppeteer.launch({
      executablePath,
      pipe: true,
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
    const lease: Lease = { browser, pages: 0, served: 0, free: [] };
    live.add(lease);
    browser.once('disconnected', () => {
      live.delete(lease);
      void current?.then((now) => {
        if (now === lease) current = undefined;
      });
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
      const lease = await current;
      if (!lease.browser.connected) {
        current = undefined;
      } else if (lease.served >= pagesPerBrowser) {
        current = undefined;
        if (lease.pages === 0) await lease.browser.close();
      } else {
        lease.pages += 1;
        lease.served += 1;
        return lease;
      }
    }
  }

  async function giveBack(lease: Lease): Promise<void> {
    lease.pages -= 1;
    if (lease.served >= pagesPerBrowser && lease.pages === 0) {
      if ((await current) === lease) current = undefined;
      await lease.browser.close();
    }
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
      let page: Page | undefined;
      let lease: Lease | undefined;
      const abort = () => void page?.close().catch(() => {});
      try {
        lease = await take();
        page = lease.free.pop() ?? (await newPage(lease));
        signal.addEventListener('abort', abort, { once: true });
        signal.throwIfAborted();
        const answer = await work(page);
        lease.free.push(page);
        return answer;
      } catch (error) {
        // A page on which something went wrong is not used again.
        abort();
        signal.throwIfAborted();
        throw failed(error);
      } finally {
        signal.removeEventListener('abort', abort);
        if (lease) await giveBack(lease).catch(() => {});
      }
    },
    async close() {
      const closing = [...live].map((lease) => lease.browser.close());
      current = undefined;
      await Promise.allSettled(closing);
    },
  };
}

function failed(error: unknown): DomainError {
  if (error instanceof DomainError) return error;
  const reason = error instanceof Error ? error.message : String(error);
  return new DomainError('BROWSER_FAILED', `The browser failed: ${reason}`, {
    hint: 'Run: msp-toolkit doctor',
    cause: error,
  });
}
