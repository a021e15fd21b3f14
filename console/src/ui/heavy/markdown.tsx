import DOMPurify from 'dompurify'
import { Marked } from 'marked'
import { useMemo } from 'preact/hooks'

const marked = new Marked({ gfm: true, breaks: true })

DOMPurify.addHook('afterSanitizeAttributes', (node) => {
  if (node.tagName !== 'A') return
  node.setAttribute('target', '_blank')
  node.setAttribute('rel', 'noopener noreferrer')
})

/** No images, styles or forms: what a model wrote loads nothing from elsewhere. */
const RULES = {
  FORBID_TAGS: [
    'img',
    'picture',
    'video',
    'audio',
    'source',
    'style',
    'form',
    'input',
    'button',
    'svg',
    'math',
    'iframe',
  ],
  FORBID_ATTR: ['style', 'id', 'class', 'name'],
  ALLOWED_URI_REGEXP: /^(?:https?|mailto):/i,
}

/** Levels of headings: below those of the card, without skipping one. */
const TOP_LEVEL = 3

/** The HTML of a Markdown text as it is written, before it is made safe. */
export function rawHtml(text: string): string {
  const tokens = marked.lexer(text)
  let above = TOP_LEVEL - 1
  marked.walkTokens(tokens, (token) => {
    if (token.type !== 'heading') return
    token.depth = Math.min(token.depth + TOP_LEVEL - 1, above + 1, 6)
    above = token.depth
  })
  return marked.parser(tokens)
}

/** The HTML of a Markdown text, safe to insert. */
export function safeHtml(text: string): string {
  return DOMPurify.sanitize(rawHtml(text), RULES)
}

export default function Markdown({ text }: { text: string }) {
  const html = useMemo(() => safeHtml(text), [text])
  return <div class="markdown" dangerouslySetInnerHTML={{ __html: html }} />
}
