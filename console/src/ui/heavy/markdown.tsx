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

/** The HTML of a Markdown text, safe to insert. */
export function safeHtml(text: string): string {
  return DOMPurify.sanitize(marked.parse(text, { async: false }), RULES)
}

export default function Markdown({ text }: { text: string }) {
  const html = useMemo(() => safeHtml(text), [text])
  return <div class="markdown" dangerouslySetInnerHTML={{ __html: html }} />
}
