import { existsSync, readdirSync } from 'node:fs'
import { join, posix } from 'node:path'
import t from 'tap'
import { PAGES, pagesBelow, parsePage } from '../fixtures/docs.js'
import { ROOT } from '../fixtures/program.js'

const isElsewhere = (link: string): boolean => /^https?:/.test(link)
const atRoot = readdirSync(ROOT).filter(name => name.endsWith('.md'))

/** The page that a relative link leads to: a path from the root of the project. */
function targetOf (page: string, link: string): string {
  const [path] = link.split('#') as [string]
  return path === '' ? page : posix.join(posix.dirname(page), path)
}

const withLinks = [...atRoot, ...['docs', 'examples', 'skills'].flatMap(pagesBelow), 'docs/llms.txt']
for (const page of withLinks) {
  t.test(`all links within ${page} lead somewhere`, async t => {
    const { links } = parsePage(page)
    for (const link of links.filter(link => !isElsewhere(link))) {
      // Relative ones work in a clone and in the package, whatever the URL of the repository is.
      t.notMatch(link, /^\/|^\w+:/, link)
      const target = targetOf(page, link)
      t.notMatch(target, /^\.\./, `${link} stays within the project`)
      t.ok(existsSync(join(ROOT, target)), link)
      const anchor = link.split('#')[1]
      if (anchor === undefined || !existsSync(join(ROOT, target))) continue
      t.ok(parsePage(target).anchors.includes(anchor), link)
    }
  })
}

for (const index of ['README.md', 'docs/README.md', 'docs/llms.txt']) {
  t.test(`${index} leads to every page of docs`, async t => {
    const targets = parsePage(index).links.filter(link => !isElsewhere(link)).map(link => targetOf(index, link))
    for (const page of PAGES) t.ok(page === index || targets.includes(page), page)
  })
}
