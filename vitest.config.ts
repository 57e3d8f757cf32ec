// Where the tests are and how they run: two files at a time at most, with room for real builds, browsers and Python. The
// suites that do the same for every filter are a project a filter, so that a filter's tests can run beside another's and
// by name: vitest run --project zstd.
import { existsSync, readdirSync } from 'node:fs';
import { defineConfig } from 'vitest/config';

/** Suites over `filtersUnderTest()`. */
const PER_FILTER = ['conformance/conformance', 'golden/golden', 'plugin/plugin', 'variants/variants'];
const perFilter = PER_FILTER.map((name) => `tests/${name}.test.ts`);
const folder = process.env.H5Z_FILTERS_DIR || 'filters';
const filters = readdirSync(folder).filter((name) => existsSync(`${folder}/${name}/filter.json`));

export default defineConfig({
  test: {
    testTimeout: 180_000,
    hookTimeout: 600_000,
    maxWorkers: 2,
    reporters: ['default', './tests/support/reporter.ts'],
    projects: [
      {
        extends: true,
        test: {
          name: 'all',
          include: [
            'packages/*/test/**/*.test.ts',
            'registry/test/**/*.test.ts',
            'tests/**/*.test.ts',
            'filters/*/test/**/*.test.ts',
          ],
          exclude: perFilter,
        },
      },
      ...filters.map((name) => ({
        extends: true as const,
        test: { name, include: perFilter, env: { H5Z_FILTER_UNDER_TEST: name } },
      })),
    ],
  },
});
