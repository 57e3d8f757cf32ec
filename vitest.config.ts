// Where the tests are and how they run: two at a time at most, with room for real builds, browsers and Python.
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: [
      'packages/*/test/**/*.test.ts',
      'registry/test/**/*.test.ts',
      'tests/**/*.test.ts',
      'filters/*/test/**/*.test.ts',
    ],
    testTimeout: 180_000,
    hookTimeout: 600_000,
    maxWorkers: 2,
    reporters: ['default', './tests/support/reporter.ts'],
  },
});
