// What a filter's derive() (HDF5's set_local) may know of a dataset, from the dataset's description.

import type { DatasetDescription, TypeClass } from '@h5z/core';
import type { DatasetInfo, Datatype } from './types.js';

/** The description of a dataset for `codec.derive`; `chunk` where it is to be another than the dataset's own. */
export function describeDataset(info: DatasetInfo, chunk: readonly number[] = info.chunk ?? []): DatasetDescription {
  const { type, fill } = info;
  const base = 'base' in type ? innermost(type) : undefined;
  const number = (base ?? type) as Datatype & { order?: string; precision?: number; offset?: number; signed?: boolean };
  return {
    typeClass: type.class as TypeClass,
    typeSize: type.size,
    ...(base ? { baseClass: base.class as TypeClass, baseSize: base.size } : {}),
    ...(number.signed === undefined ? {} : { signed: number.signed }),
    ...(number.order === undefined ? {} : { bigEndian: number.order === 'be' }),
    ...(number.precision === undefined ? {} : { precision: number.precision }),
    ...(number.offset === undefined ? {} : { bitOffset: number.offset }),
    chunk,
    shape: info.shape,
    ...(fill.value && fill.value.length <= 64 ? { fill: fill.value } : {}),
  };
}

function innermost(type: Datatype): Datatype {
  let inner = type;
  while ('base' in inner) inner = inner.base;
  return inner;
}

/** Whether values of this type point elsewhere in the file: variable-length data and references. */
export function pointsElsewhere(type: Datatype): boolean {
  if (type.class === 'vlen' || type.class === 'reference') return true;
  if (type.class === 'string') return type.variable;
  if (type.class === 'compound') return type.members.some((member) => pointsElsewhere(member.type));
  return 'base' in type && pointsElsewhere(type.base);
}
