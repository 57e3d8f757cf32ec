// A change of the farm's own as a pull request, by git and gh: newer upstreams, versions.

import { run } from './exec.ts';
import { ROOT } from './paths.ts';

export interface Proposal {
  readonly branch: string;
  readonly title: string;
  readonly body: string;
  /** Paths, relative to the repository, that the commit holds; others stay as they are. */
  readonly files: readonly string[];
}

/** Commits and pushes the branch, opens its pull request where there is none; returns its address. What was checked out before is again. */
export async function openPullRequest({ branch, title, body, files }: Proposal, root = ROOT): Promise<string> {
  const git = (...args: string[]) => run('git', args, { cwd: root });
  const gh = async (...args: string[]) => (await run('gh', ['pr', ...args], { cwd: root })).stdout.trim();
  const before = (await git('rev-parse', '--abbrev-ref', 'HEAD')).stdout.trim();
  await git('switch', '-C', branch);
  try {
    await git('add', '--all', '--', ...files);
    await git('commit', '-m', title, '--', ...files);
    await git('push', '--force', 'origin', branch);
    const open = await gh('list', '--head', branch, '--json', 'url', '--jq', '.[0].url');
    return open === '' ? await gh('create', '--head', branch, '--title', title, '--body', body) : open;
  } finally {
    await git('switch', before);
  }
}
