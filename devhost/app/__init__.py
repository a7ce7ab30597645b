"""What does the app declare: functions, settings, versions and a warm-up?"""
