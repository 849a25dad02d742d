"""What more than one type of provider needs: ports, archives, host folders, code-server's words."""
