"""Pages of runs: an HTML file that shows a run, a folder of runs or a sweep."""
