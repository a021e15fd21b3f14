import { Graph as Layout, layout } from '@dagrejs/dagre'
import { useMemo } from 'preact/hooks'

export interface GraphNode {
  id: string
  label: string
  /** A second line, such as the agent. */
  note?: string
  status?: string
}

export interface GraphProps {
  label: string
  nodes: GraphNode[]
  edges: { from: string; to: string; label?: string }[]
  selected?: string
  onSelect?: (id: string) => void
}

const HEIGHT = 52
const WIDTHS = { letter: 8, noteLetter: 7.2, least: 110, most: 320, around: 34 }

/** A directed graph from top to bottom. Each node can be reached with Tab and chosen with Enter. */
export default function Graph({ label, nodes, edges, selected, onSelect }: GraphProps) {
  const shape = JSON.stringify([nodes.map(({ id, label: text, note }) => [id, text, note]), edges])
  const placed = useMemo(() => place(nodes, edges), [shape])
  return (
    <div class="graph">
      <svg
        viewBox={`0 0 ${placed.width} ${placed.height}`}
        width={placed.width}
        height={placed.height}
        role="group"
        aria-label={label}
      >
        <defs>
          <marker id="arrow" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" orient="auto">
            <path class="graph-arrow" d="M0 0 10 5 0 10z" />
          </marker>
        </defs>
        {placed.edges.map(({ from, to, path }) => (
          <path key={`${from} ${to}`} class="graph-edge" d={path} marker-end="url(#arrow)" />
        ))}
        {nodes.map((node) => {
          const at = placed.nodes.get(node.id)
          if (!at) return null
          const choose = () => onSelect?.(node.id)
          return (
            <g
              key={node.id}
              class={`graph-node ${node.status ?? ''} ${selected === node.id ? 'selected' : ''}`}
              transform={`translate(${at.x - at.width / 2} ${at.y - HEIGHT / 2})`}
              tabindex={0}
              role="button"
              aria-pressed={selected === node.id}
              aria-label={[node.label, node.note, node.status].filter(Boolean).join(', ')}
              onClick={choose}
              onKeyDown={(event) => {
                if (event.key !== 'Enter' && event.key !== ' ') return
                event.preventDefault()
                choose()
              }}
            >
              <rect width={at.width} height={HEIGHT} rx="10" />
              <circle cx="16" cy={HEIGHT / 2} r="5" />
              <text x="30" y={node.note ? 22 : 31}>
                {shortened(node.label, at.width, WIDTHS.letter)}
              </text>
              {node.note && (
                <text class="graph-note" x="30" y="39">
                  {/* The space separates both texts for screen readers. */}
                  {` ${shortened(node.note, at.width, WIDTHS.noteLetter)}`}
                </text>
              )}
            </g>
          )
        })}
      </svg>
    </div>
  )
}

function place(nodes: GraphNode[], edges: GraphProps['edges']) {
  const graph = new Layout()
  graph.setGraph({ rankdir: 'TB', nodesep: 28, ranksep: 44, marginx: 8, marginy: 8 })
  graph.setDefaultEdgeLabel(() => ({}))
  for (const node of nodes) graph.setNode(node.id, { width: widthOf(node), height: HEIGHT })
  const known = new Set(nodes.map(({ id }) => id))
  for (const { from, to } of edges) if (known.has(from) && known.has(to)) graph.setEdge(from, to)
  layout(graph)
  const size = graph.graph() as { width?: number; height?: number }
  const found = new Map<string, { x: number; y: number; width: number }>()
  for (const { id } of nodes) found.set(id, graph.node(id) as { x: number; y: number; width: number })
  return {
    width: Math.max(120, size.width ?? 0),
    height: Math.max(HEIGHT, size.height ?? 0),
    nodes: found,
    edges: graph.edges().map(({ v, w }) => {
      const { points } = graph.edge(v, w) as { points: { x: number; y: number }[] }
      return { from: v, to: w, path: curve(points) }
    }),
  }
}

/** A smooth line through the middles of the points. */
function curve(points: { x: number; y: number }[]): string {
  const [first, ...rest] = points
  if (!first) return ''
  let path = `M${first.x} ${first.y}`
  rest.forEach((point, index) => {
    const next = rest[index + 1]
    if (!next) path += `L${point.x} ${point.y}`
    else path += `Q${point.x} ${point.y} ${(point.x + next.x) / 2} ${(point.y + next.y) / 2}`
  })
  return path
}

function widthOf({ label, note }: GraphNode): number {
  const text = Math.max(label.length * WIDTHS.letter, (note?.length ?? 0) * WIDTHS.noteLetter)
  return Math.min(WIDTHS.most, Math.max(WIDTHS.least, text + WIDTHS.around + 10))
}

function shortened(text: string, width: number, letter: number): string {
  const room = Math.floor((width - WIDTHS.around) / letter)
  return text.length > room ? `${text.slice(0, Math.max(1, room - 1))}…` : text
}
