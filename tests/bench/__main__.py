"""Every benchmark, one after the other: `python -m tests.bench`."""

from tests.bench import bench_check, bench_count, bench_langgraph, bench_parse, bench_runs, bench_trees

if __name__ == "__main__":
    bench_parse.main()
    print()
    bench_count.main()
    print()
    bench_check.main()
    print()
    bench_trees.main()
    print()
    bench_runs.report()
    print()
    bench_langgraph.main()
