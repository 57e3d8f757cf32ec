// ./farm gpu-test: the CUDA kernels on a real GPU, here or on a machine that the folder is taken to.

import type { Command } from '../command.ts';

export const command: Command = {
  name: 'gpu-test',
  summary:
    'Test and time the CUDA kernels on a GPU: makes a folder that needs only the driver and Python, and runs it.',
  order: 45,
  options: {
    folder: { type: 'string', value: 'FOLDER', doc: 'Where the folder is made; default out/gpu-test.' },
    arrays: {
      type: 'string',
      value: 'FOLDER',
      doc: 'Real frames with their index.json; default ../shared/arrays if it is there.',
    },
    nvcomp: {
      type: 'string',
      value: 'WHEEL',
      doc: 'Carry this wheel (nvidia-libnvcomp-cu12 or -cu13, version 6) to compare with: 45 MB.',
    },
    tar: { type: 'boolean', doc: 'Make FOLDER.tar.gz too, and do not run anything.' },
    bytes: {
      type: 'string',
      value: 'N',
      doc: 'Decoded bytes of a benchmark; default 4 GiB, less where memory is short.',
    },
    correctness: { type: 'boolean', doc: 'No benchmarks.' },
    quick: { type: 'boolean', doc: 'Each thing once, in fewer shapes: speeds mean nothing then.' },
    driver: { type: 'string', value: 'LIBRARY', doc: "The driver's library; default libcuda.so.1." },
    record: {
      type: 'string',
      value: 'RESULT',
      doc: 'Only keep a result.json of such a run in docs/data/gpu.json: it becomes verifiedOn and the numbers in the docs.',
    },
  },
  help: `Elsewhere: take the folder along, then  cd FOLDER && python3 gpu_test.py --out result.json  (no network, no Node, no pip).
Exit status 0: every kernel answered as it should; 1: some did not; 77: there is no GPU, and nothing was tested.
Needs what ./farm build made.`,
  async run(args) {
    const { existsSync } = await import('node:fs');
    const { join } = await import('node:path');
    const { recordGpuResult } = await import('../gpu-results.ts');
    const { makeGpuTest, NO_GPU, packGpuTest, runGpuTest } = await import('../gpu-test.ts');
    const { say } = await import('../log.ts');
    const { ROOT } = await import('../paths.ts');
    const record = args.text('record');
    if (record !== undefined) {
      const { device, date } = recordGpuResult(record);
      say(`${device}, ${date}: kept. Run ./farm docs, and ./farm build for the manifests.`);
      return 0;
    }
    const shared = join(ROOT, '../shared/arrays');
    const arrays = args.text('arrays') ?? (existsSync(join(shared, 'index.json')) ? shared : undefined);
    const folder = await makeGpuTest({ folder: args.text('folder'), arrays, nvcomp: args.text('nvcomp') });
    if (args.flag('tar')) {
      say(`made ${packGpuTest(folder)}`);
      return 0;
    }
    const options = ['bytes', 'driver'].flatMap((name) => {
      const value = args.text(name);
      return value === undefined ? [] : [`--${name}`, value];
    });
    const flags = ['correctness', 'quick'].filter((name) => args.flag(name)).map((name) => `--${name}`);
    const status = await runGpuTest(folder, [...options, ...flags]);
    if (status === NO_GPU)
      say('THERE IS NO GPU HERE: no kernel was tested. See --help for how to take the folder to one.');
    return status;
  },
};
