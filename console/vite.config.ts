import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vite'

const API = process.env.API_URL ?? 'http://127.0.0.1:8000'

export default defineConfig({
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  build: {
    outDir: fileURLToPath(new URL('../pixelbloom/web/console', import.meta.url)),
    emptyOutDir: true,
    target: 'es2022',
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rolldownOptions: { checks: { pluginTimings: false } },
  },
  server: {
    port: 5173,
    // The page is the API's own, as when it is built: the API compares Origin and Host.
    proxy: {
      '/api': { target: API, ws: true, changeOrigin: true, headers: { Origin: API } },
      '/console': { target: API, changeOrigin: true, headers: { Origin: API } },
      '/readyz': { target: API, changeOrigin: true },
    },
  },
})
