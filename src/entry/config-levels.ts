/** Apart from the configuration, so that the command line can name them without loading it. */
export const logLevels = ['debug', 'info', 'warn', 'error', 'silent'] as const;
