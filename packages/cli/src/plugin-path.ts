// What to put into HDF5_PLUGIN_PATH, so that h5py, h5dump, netCDF and every other program with a libhdf5 reads and writes
// by the filters installed here: the folders of their native libraries, which are ordinary HDF5 plugins.

import { delimiter, dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { currentPlatform } from '@h5z/core/node';
import type { Registry } from '@h5z/registry';

export interface PluginPath {
  /** The folders, joined as this system's libhdf5 splits them; empty when there is none. */
  readonly path: string;
  readonly platform: string;
  readonly plugins: readonly PluginFolder[];
  /** Installed filters that no plugin is needed or there for, with the reason. */
  readonly without: readonly { readonly id: number; readonly name: string; readonly reason: string }[];
}

export interface PluginFolder {
  readonly id: number;
  readonly name: string;
  readonly package: string;
  readonly version: string;
  readonly folder: string;
}

/** Filters with smaller IDs are part of libhdf5, which never looks for a plugin of theirs. */
const FIRST_PLUGIN_ID = 256;

/** The plugin folders of the packages in a registry. Loads nothing. */
export function pluginPath(registry: Registry): PluginPath {
  const platform = currentPlatform();
  const plugins: PluginFolder[] = [];
  const without: { id: number; name: string; reason: string }[] = [];
  for (const filter of [...registry.packages].sort((a, b) => a.id - b.id)) {
    const { id, canonicalName: name } = filter;
    const native = filter.manifest.variants.native.find((file) => file.platform === platform);
    const url = native && filter.locate(native.file);
    if (id < FIRST_PLUGIN_ID)
      without.push({ id, name, reason: "libhdf5 has this filter itself and takes no plugin's" });
    else if (url?.protocol !== 'file:') {
      without.push({ id, name, reason: `${filter.package.name} has no native library for ${platform}` });
    } else plugins.push({ id, name, ...npmOf(filter.package), folder: dirname(fileURLToPath(url)) });
  }
  const folders = [...new Set(plugins.map(({ folder }) => folder))];
  return { path: folders.join(delimiter), platform, plugins, without };
}

const npmOf = ({ name, version }: { readonly name: string; readonly version: string }) => ({ package: name, version });

/** A line for a POSIX shell that puts `path` before what HDF5_PLUGIN_PATH already holds. */
export function exportLine(path: string): string {
  return `export HDF5_PLUGIN_PATH='${path.replaceAll("'", "'\\''")}'"\${HDF5_PLUGIN_PATH:+:$HDF5_PLUGIN_PATH}"`;
}
