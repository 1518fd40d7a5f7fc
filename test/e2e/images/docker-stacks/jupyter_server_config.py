# As in docker-stacks: listen on every interface, and open no browser.
c = get_config()  # noqa: F821
c.ServerApp.ip = ""
c.ServerApp.open_browser = False
