/** Rescue within a second or two instead of ten. */
export const fastClocks = { lockMs: 1000, stalledMs: 500, relay: { pollMs: 50, reconcileMs: 500 } };
