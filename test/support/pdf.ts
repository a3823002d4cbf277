import { readFile } from 'node:fs/promises';
import { getDocument, OPS } from 'pdfjs-dist/legacy/build/pdf.mjs';

/** What a PDF holds: its text as a reader would select it, and how much is drawn as vectors and as pictures. */
export async function readPdf(
  path: string,
): Promise<{ pages: number; text: string; paths: number; images: number }> {
  const loading = getDocument({ data: new Uint8Array(await readFile(path)), verbosity: 0 });
  const document = await loading.promise;
  let text = '';
  let paths = 0;
  let images = 0;
  for (let number = 1; number <= document.numPages; number += 1) {
    const page = await document.getPage(number);
    const content = await page.getTextContent();
    text += `${content.items.map((item) => ('str' in item ? item.str + (item.hasEOL ? '\n' : '') : '')).join('')}\n`;
    const { fnArray } = await page.getOperatorList();
    paths += fnArray.filter((op) => op === OPS.constructPath).length;
    images += fnArray.filter(
      (op) => op === OPS.paintImageXObject || op === OPS.paintInlineImageXObject,
    ).length;
  }
  const pages = document.numPages;
  await loading.destroy();
  return { pages, text, paths, images };
}
