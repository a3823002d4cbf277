/** The migrations in order. Their code is loaded only when one has to run: see run.ts. */
export const migrationNames: readonly string[] = ['0001-initial', '0002-unattended', '0003-monitor'];
