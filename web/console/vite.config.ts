import { fileURLToPath } from 'node:url';
import react from '@vitejs/plugin-react';
import { defineConfig } from 'vitest/config';

const server = process.env['NIGHTJAR_HTTP'] ?? 'http://127.0.0.1:9700';

export default defineConfig({
  plugins: [react()],
  resolve: { alias: { '@': fileURLToPath(new URL('./src', import.meta.url)) } },
  server: {
    port: 5173,
    proxy: Object.fromEntries(['/api', '/docs', '/install-agent.sh', '/download'].map((path) => [path, server])),
  },
  // No inlined assets or scripts, so that the page works under a strict Content-Security-Policy.
  build: { target: 'es2022', assetsInlineLimit: 0, modulePreload: { polyfill: false }, chunkSizeWarningLimit: 700 },
  // A test of components asks for jsdom in its first line.
  test: { environment: 'node', include: ['src/**/*.test.ts', 'src/**/*.test.tsx'], setupFiles: ['src/testing/setup.ts'], testTimeout: 60_000 },
});
