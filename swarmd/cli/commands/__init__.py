"""One module per group of commands; ``swarmd.cli.table`` says which is where."""
