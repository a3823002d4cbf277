/**
 * The text of a report page as Markdown with tables. Charts are left out: the tables beside them hold the figures.
 */
export async function toMarkdown(html: string): Promise<string> {
  const [{ default: Turndown }, { tables }] = await Promise.all([
    import('turndown'),
    import('@joplin/turndown-plugin-gfm'),
  ]);
  const converter = new Turndown({ headingStyle: 'atx', bulletListMarker: '-', hr: '---' });
  converter.use(tables);
  converter.remove(['style', 'title', 'script']);
  converter.addRule('drawing', { filter: 'figure', replacement: () => '' });
  converter.addRule('card', {
    filter: (node) => node.nodeName === 'DIV' && /\bcard\b/.test(node.className),
    replacement: (content) => {
      const [label, figure] = content.trim().split(/\n+/);
      return `- ${label}: **${figure}**\n`;
    },
  });
  const { escape } = converter;
  // Markdown lets HTML through, so what was text in the page must be kept from becoming a tag.
  converter.escape = (text) => escape.call(converter, text).replaceAll('<', '&lt;');
  return `${converter.turndown(html).trim()}\n`;
}
