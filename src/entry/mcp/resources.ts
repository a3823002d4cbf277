import type { ReportFormat } from '../../domain/report.ts';

export const mimeTypes: Record<ReportFormat, string> = {
  pdf: 'application/pdf',
  html: 'text/html',
  markdown: 'text/markdown',
};

/** A report's address for agents; the file's path stays a matter of this machine. */
export function reportUri(id: string): string {
  return `msp-report:///${id}`;
}
