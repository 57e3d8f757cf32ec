// The process that reading.ts measures in: takes its options as JSON, says how far it is on stderr, prints the result as JSON.
import { measureReading, type ReadingOptions } from './reading.ts';

const options = JSON.parse(process.argv[2] ?? '') as Omit<ReadingOptions, 'log'>;
const result = await measureReading({ ...options, log: (line) => console.error(line) });
process.stdout.write(JSON.stringify(result));
