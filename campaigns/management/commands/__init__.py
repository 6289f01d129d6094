"""One command a module; what ``manage.py help`` lists."""
