# As in docker-stacks: listen on every interface, open no browser, and delete files without a trash.
c = get_config()  # noqa: F821
c.ServerApp.ip = ""
c.ServerApp.open_browser = False
c.FileContentsManager.delete_to_trash = False
