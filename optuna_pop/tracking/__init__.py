"""What a search leaves for people: MLflow runs, the dashboard, figures and table files.

Nothing here is imported before it is used; each module says which extra it needs.
"""
