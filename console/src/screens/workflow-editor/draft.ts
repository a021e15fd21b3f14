/** The draft survives a reload of the page, in this tab alone. */
const nameOf = (id: string | null) => `pixelbloom.workflow-draft.${id ?? ''}`

export function readDraft(id: string | null): string | null {
  try {
    return sessionStorage.getItem(nameOf(id))
  } catch {
    return null
  }
}

export function writeDraft(id: string | null, text: string): void {
  try {
    sessionStorage.setItem(nameOf(id), text)
  } catch {
    // Storage may be off or full: the draft then lives in the page alone.
  }
}

export function dropDraft(id: string | null): void {
  try {
    sessionStorage.removeItem(nameOf(id))
  } catch {
    // As above.
  }
}
