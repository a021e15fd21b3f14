import { signal } from '@preact/signals'
import type { ComponentChildren } from 'preact'
import { useEffect } from 'preact/hooks'
import { Link, useLocation } from 'wouter-preact'
import { caller, can } from '../auth/caller'
import { me, seesAll } from '../auth/session'
import { Icon } from '../ui'
import { AccountMenu } from './account'
import { Bell } from './bell'
import { Connection } from './connection'
import { PLACES } from './routes'
import { theme, toggleTheme } from './theme'

const menuOpen = signal(false)

/** The frame of every screen: sidebar, top bar, and the screen between its landmarks. */
export function Shell({ children }: { children: ComponentChildren }) {
  const [path] = useLocation()
  useEffect(() => {
    menuOpen.value = false
  }, [path])
  return (
    <div class="shell">
      <a class="skip" href="#main">
        Skip to content
      </a>
      <nav class={menuOpen.value ? 'sidebar open' : 'sidebar'} id="menu" aria-label="Main">
        <Link href="/" class="brand">
          <Mark />
          <span>PixelBloom</span>
        </Link>
        {PLACES.map((group) => (
          <div class="nav-group" key={group.name}>
            <h2>{group.name}</h2>
            <ul>
              {group.places
                .filter((place) => !place.needs || caller.value === null || can(place.needs))
                .map((place) => (
                  <li key={place.path}>
                    <Link href={place.path} class="nav-link" aria-current={isAt(path, place.path) ? 'page' : undefined}>
                      <Icon name={place.icon} />
                      {place.name}
                    </Link>
                  </li>
                ))}
            </ul>
          </div>
        ))}
        <div class="nav-foot">
          <a class="nav-link" href="/api/docs" target="_blank" rel="noopener">
            <Icon name="book" />
            API reference
          </a>
        </div>
      </nav>
      {menuOpen.value && (
        <button type="button" class="scrim" aria-label="Close the menu" onClick={() => (menuOpen.value = false)} />
      )}
      <header class="topbar">
        <button
          type="button"
          class="button ghost icon-only menu-button"
          aria-label="Menu"
          aria-expanded={menuOpen.value}
          aria-controls="menu"
          onClick={() => (menuOpen.value = !menuOpen.value)}
        >
          <Icon name="menu" />
        </button>
        <Connection />
        <span class="spacer" />
        {seesAll.value && <span class="role">{me.value.service ? 'Service' : 'Administrator'}</span>}
        <button type="button" class="button ghost icon-only" aria-label="Light or dark" onClick={toggleTheme}>
          <Icon name={theme.value === 'dark' ? 'sun' : 'moon'} />
        </button>
        <Bell />
        <AccountMenu />
      </header>
      <main id="main" tabIndex={-1}>
        {children}
      </main>
    </div>
  )
}

export function Mark() {
  return (
    <svg class="mark" viewBox="0 0 32 32" aria-hidden="true">
      <rect class="mark-ground" width="32" height="32" rx="8" />
      <path class="mark-petals" d="M13 5h6v6h-6zM13 21h6v6h-6zM5 13h6v6H5zM21 13h6v6h-6z" />
      <path class="mark-heart" d="M13 13h6v6h-6z" />
    </svg>
  )
}

function isAt(path: string, place: string): boolean {
  return place === '/' ? path === '/' : path === place || path.startsWith(`${place}/`)
}
