// A release in a process of its own, for release.test.ts to kill: node release-child.ts JSON, with { url, folder, repository,
// tarballs, stop }. It kills itself, as SIGKILL does, at the stop: before (`>NAME`) or after (`<NAME`) a step.

import { release } from '../src/release.ts';
import { npmTarget } from '../src/release-target.ts';

const { url, folder, repository, tarballs, stop } = JSON.parse(process.argv[2] ?? '{}') as {
  url: string;
  folder: string;
  repository: string;
  tarballs: string[];
  stop?: string;
};

try {
  const released = await release({
    pack: async () => tarballs.map((tarball) => ({ tarball, problems: [] })),
    target: await npmTarget(folder, url),
    folder,
    repository,
    patience: 1,
    onStep({ name, done }) {
      if (stop === `${done ? '<' : '>'}${name}`) process.kill(process.pid, 'SIGKILL');
    },
  });
  process.stdout.write(JSON.stringify(released));
} catch (error) {
  process.stderr.write((error as Error).message);
  process.exitCode = 1;
}
