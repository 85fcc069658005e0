"""A folder for each page: view, model, template, script and style; what pages share is beside."""
