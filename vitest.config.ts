import { defineConfig } from 'vitest/config';

// Real Redis servers, browsers and worker processes share two cores with the tests, so files run a few at a time.
export default defineConfig({
  test: {
    reporters: ['default', ['json', { outputFile: 'coverage/results.json' }]],
    maxWorkers: 2,
    // Tests must not reach the keyring of whoever runs them; the one that needs a keyring brings its own.
    env: { DBUS_SESSION_BUS_ADDRESS: 'disabled:' },
    coverage: {
      provider: 'v8',
      include: ['src/**/*.ts'],
      exclude: ['**/*.d.ts'],
      reporter: ['text-summary', 'html'],
    },
    projects: [
      { extends: true, test: { name: 'unit', include: ['test/unit/**/*.test.ts'] } },
      {
        extends: true,
        test: {
          name: 'integration',
          include: ['test/integration/**/*.test.ts'],
          testTimeout: 60_000,
          hookTimeout: 30_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'faults',
          include: ['test/faults/**/*.test.ts'],
          // After the others and one after the other: they kill, starve and fill what they stand on.
          sequence: { groupOrder: 1 },
          maxWorkers: 1,
          fileParallelism: false,
          testTimeout: 60_000,
          hookTimeout: 30_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          globalSetup: ['test/support/build.ts'],
          testTimeout: 90_000,
          hookTimeout: 60_000,
        },
      },
    ],
  },
});
