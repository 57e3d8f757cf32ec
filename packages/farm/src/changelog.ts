// How a changeset becomes lines of CHANGELOG.md: its own words, and the versions that came with it. Named by
// .changeset/config.json and called by @changesets/apply-release-plan.

import type { GetDependencyReleaseLine, GetReleaseLine } from '@changesets/types';

export const getReleaseLine: GetReleaseLine = ({ summary }) => {
  const [first, ...rest] = summary.trim().split('\n');
  return [`- ${first}`, ...rest.map((line) => (line === '' ? '' : `  ${line}`))].join('\n');
};

export const getDependencyReleaseLine: GetDependencyReleaseLine = (_changesets, updated) =>
  updated.length === 0 ? '' : `- With ${updated.map(({ name, newVersion }) => `${name} ${newVersion}`).join(', ')}`;
