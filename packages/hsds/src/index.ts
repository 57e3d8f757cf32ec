// @h5z/hsds: puts h5z's Python package and the native libraries of the installed filters into an HSDS environment, takes
// them out again, and asks what is there. The command `h5z hsds` is this, with words around it.

export {
  type InstallOptions,
  type InstallReport,
  install,
  type SelfTestReport,
  type StatusReport,
  selfTest,
  status,
  type UninstallReport,
  uninstall,
  type Where,
} from './install.js';
export { type InstalledFilter, type Layout, layoutOf, type WithoutLibrary } from './layout.js';
export { type PlaceStep, placeInto, removeFrom } from './place.js';
export { type Environment, probe, shellWord } from './python.js';
export { wheelBytes } from './wheel.js';
