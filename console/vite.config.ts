import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vite'

const API = process.env.API_URL ?? 'http://127.0.0.1:8000'

export default defineConfig({
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  build: {
    outDir: fileURLToPath(new URL('../pixelbloom/web/console/static', import.meta.url)),
    emptyOutDir: true,
    target: 'es2022',
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    cssCodeSplit: false,
    rolldownOptions: {
      checks: { pluginTimings: false },
      output: {
        // Few chunks: code that looks alike compresses well together. What is heavy stays apart.
        codeSplitting: {
          groups: [
            {
              name: 'app',
              test: /console\/src\/(?!screens|live|ui\/heavy)|node_modules\/(preact|@preact|wouter|regexparam|use-sync)/,
              priority: 2,
            },
            { name: 'screens', test: /console\/src\/(screens|live)/, priority: 1 },
          ],
        },
      },
    },
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
