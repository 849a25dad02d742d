"""What the local provider keeps on disk: folders, workspaces, extensions, logs, archives.

One rule holds in every module here. An instance's folder belongs to the account that it runs
as, so whoever works in it can put a symbolic link, a pipe or a swapped folder anywhere inside.
The daemon, often root, therefore reaches into it by descriptor alone and follows no link there;
what must act with the account's rights (git, the installation of extensions) runs as it.
"""
