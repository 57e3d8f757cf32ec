"""The Python side of parallel.test.ts: datasets that two processes write together through MPI.

usage: parallel.py serial JOB.json                  h5py's wheel: what one process writes, each filter to a file of its own
       mpiexec -n 2 parallel.py together JOB.json   Debian's h5py for MPI: all into one file, and read again
       parallel.py read JOB.json                    h5py's wheel reads that file

A job is {"file", "filters": [{"id", "cases"}]}; the answer is JSON on stdout: {id: {case: what peer.py's read says}}.
"""

import hashlib
import json
import sys

import peer


def serial(job):
    answer = {}
    for part in job["filters"]:
        one = {**part, "file": f"{job['file']}.{part['id']}"}
        wrote = peer.write(one)
        kept = [case for case in part["cases"] if "error" not in wrote[case["name"]]]
        answer[part["id"]] = peer.read({**one, "cases": kept})
    return answer


def read(job):
    import h5py

    with h5py.File(job["file"], "r") as file:
        return {part["id"]: peer.read_open(file[str(part["id"])], part["cases"]) for part in job["filters"]}


def together(job):
    """Every rank writes its rows of each dataset, all ranks at once, and reads the rows of the other. The border lies within
    a chunk wherever it can: one rank then encodes what both wrote."""
    import numpy as np
    from h5py import File, h5fd, h5p, h5s
    from mpi4py import MPI

    world = MPI.COMM_WORLD
    transfer = h5p.create(h5p.DATASET_XFER)
    transfer.set_dxpl_mpio(h5fd.MPIO_COLLECTIVE)

    def rows(dataset, case, rank):
        """The rank's part of the dataset's space, the same part of memory, and its first and last row."""
        length = case["shape"][0]
        border = length * 5 // 9
        first, last = (0, border) if rank == 0 else (border, length)
        space = dataset.get_space()
        if first == last:
            space.select_none()
            return space, h5s.create(h5s.NULL), first, last
        size = (last - first, *case["shape"][1:])
        space.select_hyperslab((first, *[0] * (len(size) - 1)), size)
        return space, h5s.create_simple(size), first, last

    answer = {}
    with File(job["file"], "w", driver="mpio", comm=world) as file:
        for part in job["filters"]:
            group = file.create_group(str(part["id"]))
            said = answer[part["id"]] = {}
            for case in part["cases"]:
                array = peer.data_of(case)
                dataset = peer.create(group, part["id"], case)
                space, memory, first, last = rows(dataset, case, world.rank)
                mine = np.ascontiguousarray(array[first:last])
                dataset.write(memory, space, mine, dataset.get_type(), transfer)
                space, memory, first, last = rows(dataset, case, 1 - world.rank)
                other = np.empty_like(array[first:last])
                dataset.read(memory, space, other, dataset.get_type(), transfer)
                halves = world.gather(other.tobytes(), root=0)
                if world.rank == 0:
                    said[case["name"]] = {"sha256": hashlib.sha256(halves[1] + halves[0]).hexdigest()}
    return answer if world.rank == 0 else None


def main():
    import h5py

    with open(sys.argv[2]) as file:
        job = json.load(file)
    for part in job["filters"]:
        try:
            h5py.h5z.unregister_filter(part["id"])  # one that h5py itself has built in
        except (ValueError, RuntimeError):
            pass
    answer = globals()[sys.argv[1]](job)
    if answer is not None:
        images = {"ours": peer.mapped(["libh5z_"]), "hdf5": peer.mapped(["libhdf5"])}
        json.dump({"answer": answer, "images": images, "hdf5": h5py.version.hdf5_version}, sys.stdout)


if __name__ == "__main__":
    main()
