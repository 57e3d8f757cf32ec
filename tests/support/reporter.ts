// Counts what ran for ./farm test: every test, every file that would not load, and each skip with its reason.

import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, relative } from 'node:path';
import type { Reporter, TestModule } from 'vitest/node';

export interface Counted {
  passed: number;
  failed: number;
  skips: { name: string; reason: string }[];
  failures: string[];
}

export default class implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly unknown[]): void {
    const target = process.env.H5Z_TEST_COUNTS;
    if (target === undefined) return;
    const counted: Counted = { passed: 0, failed: 0, skips: [], failures: [] };
    const fail = (name: string): void => {
      counted.failed++;
      counted.failures.push(name);
    };
    for (const module of modules) {
      const file = relative(process.cwd(), module.moduleId);
      if (module.errors().length > 0) fail(`${file} (could not be loaded)`);
      for (const suite of module.children.allSuites())
        if (suite.errors().length > 0) fail(`${file} > ${suite.fullName} (set-up or tear-down)`);
      for (const test of module.children.allTests()) {
        const result = test.result();
        const name = `${file} > ${test.fullName}`;
        if (result.state === 'passed') counted.passed++;
        else if (result.state === 'failed') fail(name);
        else {
          const note = result.state === 'skipped' ? result.note : 'never ran';
          counted.skips.push({ name, reason: note ?? 'no reason given' });
        }
      }
    }
    for (const error of unhandled)
      fail(`unhandled error: ${String((error as { message?: unknown }).message ?? error)}`);
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, `${JSON.stringify(counted, null, 1)}\n`);
  }
}
