import { expect, test } from 'vitest'
import { rawHtml } from '../src/ui/heavy/markdown'

const headings = (text: string) => [...rawHtml(text).matchAll(/<h(\d)/g)].map(([, level]) => Number(level))

test('headings begin below those of the page and skip no level', () => {
  expect(headings('# One\n\n### Three\n\n## Two\n\n###### Six')).toEqual([3, 4, 4, 5])
  expect(headings('#### Four first\n\n# One')).toEqual([3, 3])
  expect(headings('# One\n\n> ## Quoted')).toEqual([3, 4])
})
